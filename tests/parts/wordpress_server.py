"""A real WordPress 6.1 with its own MariaDB, served by PHP's own web server, on loopback and free ports."""

import base64
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CACHE = Path(os.environ.get("STORYRELAY_PLACES", "~/.cache/storyrelay-places")).expanduser() / "wordpress"
UNPACKED = ("wordpress", "wordpress-theme-twentytwentythree")
"""Debian packages that are unpacked and not installed, for installed they would bring a web server."""
INSTALLED = (
    *(f"php8.2-{part}" for part in ("cli", "mysql", "gd", "xml", "mbstring", "curl")),
    *("php-getid3", "libjs-underscore", "mariadb-server-core", "mariadb-client-core"),
)
PROGRAMS = ("php", "mariadbd", "mariadb", "mariadb-install-db")
START_SECONDS = 30

Env = Mapping[str, str]


class NotHere(Exception):
    """This machine has no WordPress and can't install one; says what is missing."""


@dataclass(frozen=True)
class Site:
    """A running site. `passwords`: the application password of each user: admin, editor, author, contributor."""

    folder: Path
    url: str
    passwords: Mapping[str, str]

    def call(self, path: str, method: str = "GET", body: object = None) -> Any:
        """What the REST API answers to the admin: `call("posts?slug=x")`, as JSON."""
        login = base64.b64encode(f"admin:{self.passwords['admin']}".encode()).decode()
        request = urllib.request.Request(
            f"{self.url}/wp-json/wp/v2/{path}",
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Basic {login}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def page(self, url: str) -> bytes:
        """What a visitor gets."""
        with urllib.request.urlopen(url, timeout=30) as answer:
            content: bytes = answer.read()
        return content

    @contextmanager
    def served(self, env: Env | None = None, ini: Sequence[str] = (), under: str = "") -> Iterator[str]:
        """The same site once more, otherwise: gives its address.

        `env` is read by `_SWITCHES`; `ini` are settings of PHP; `under` is a folder such as `/blog`.
        """
        port = _free_port()
        url = (env or {}).get("WP_URL") or f"http://127.0.0.1:{port}{under}"
        root = self.folder / "wordpress"
        if under:
            root = self.folder / f"root-{port}"
            root.mkdir()
            (root / under.strip("/")).symlink_to(self.folder / "wordpress")
        with _php_server(self.folder, root, port, {"WP_URL": url, "WP_UNDER": under, **(env or {})}, ini):
            yield f"http://127.0.0.1:{port}{under}"


@contextmanager
def wordpress_site(folder: Path) -> Iterator[Site]:
    """Starts a site whose files and database are below `folder`. Raises NotHere."""
    _need_packages()
    _lay_out(folder)
    with _database(folder):
        bare = Site(folder, "", {})
        (folder / "install.php").write_text(_INSTALL)
        said = _run(
            ["php", "-d", "sendmail_path=/bin/true", str(folder / "install.php")],
            {"WP_ROOT": str(folder / "wordpress"), "WP_URL": "http://127.0.0.1"},
        )
        with bare.served() as url:
            yield Site(folder, url, json.loads(said.splitlines()[-1]))


def _need_packages() -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several processes of tests may begin at once
        if not all(shutil.which(program) for program in PROGRAMS):
            _apt_install(INSTALLED)
        if not all(list(CACHE.glob(f"{name}_*.deb")) for name in UNPACKED):
            _apt_download(UNPACKED)


def _apt_install(packages: Sequence[str]) -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise NotHere(f"needs these packages of Debian 12: apt-get install {' '.join(packages)}")
    _apt(["apt-get", "update", "-qq"], Path("/"))
    _apt(["apt-get", "install", "-qq", "-y", "--no-install-recommends", *packages], Path("/"))


def _apt_download(packages: Sequence[str]) -> None:
    if shutil.which("apt-get") is None:
        raise NotHere("WordPress's packages come by apt-get, which is not here")
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        _apt(["apt-get", "download", "-qq", *packages], Path(folder))
        for package in Path(folder).glob("*.deb"):
            package.rename(CACHE / package.name)  # whole or not there


def _apt(command: Sequence[str], cwd: Path) -> None:
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise NotHere(f"{' '.join(command[:2])} failed: {done.stderr.strip()[-300:]}")


def _lay_out(folder: Path) -> None:
    """Unpacks WordPress with its theme, and lays our settings beside."""
    folder.mkdir(parents=True, exist_ok=True)
    unpacked = folder / "unpacked"
    for name in UNPACKED:
        newest = max(CACHE.glob(f"{name}_*.deb"))
        _run(["dpkg-deb", "-x", str(newest), str(unpacked)])
    for shared in ("php", "javascript"):  # where the packages' relative links lead
        (folder / shared).symlink_to(f"/usr/share/{shared}")
    root = (unpacked / "usr/share/wordpress").rename(folder / "wordpress")
    (root / "wp-config.php").unlink()
    (root / "wp-config.php").write_text(_CONFIG.replace("SOCKET", str(folder / "db.sock")))
    (root / "wp-content/mu-plugins").mkdir(exist_ok=True)
    (root / "wp-content/mu-plugins/switches.php").write_text(_SWITCHES)
    (root / "wp-content/uploads").mkdir(exist_ok=True)
    (folder / "router.php").write_text(_ROUTER)


@contextmanager
def _database(folder: Path) -> Iterator[None]:
    data, socket_path = folder / "db", folder / "db.sock"
    user = ["--user=root"] if os.geteuid() == 0 else []
    setup = ["--auth-root-authentication-method=normal", "--skip-test-db"]
    _run(["mariadb-install-db", "--no-defaults", *user, f"--datadir={data}", *setup])
    command = [
        *("mariadbd", "--no-defaults", *user, f"--datadir={data}", f"--socket={socket_path}"),
        *(f"--pid-file={folder / 'db.pid'}", "--skip-networking", "--performance-schema=OFF"),
        *("--innodb-buffer-pool-size=64M", "--innodb-log-file-size=16M", "--innodb-doublewrite=OFF"),
        "--innodb-flush-log-at-trx-commit=0",
    ]
    with _process(command, folder / "db.log") as server:
        _await(socket_path.exists, server, folder / "db.log")
        statements = (
            "CREATE DATABASE wp CHARACTER SET utf8mb4; CREATE USER wp@localhost IDENTIFIED BY 'wp'; "
            "GRANT ALL ON wp.* TO wp@localhost"
        )
        _run(["mariadb", "--no-defaults", "-uroot", "-S", str(socket_path), "-e", statements])
        yield


@contextmanager
def _php_server(folder: Path, root: Path, port: int, env: Env, ini: Sequence[str]) -> Iterator[None]:
    settings = ["upload_max_filesize=64M", "post_max_size=64M", "memory_limit=256M", *ini]
    settings += ["opcache.enable_cli=1", "opcache.revalidate_freq=60"]
    options = [word for setting in settings for word in ("-d", setting)]
    command = ["php", *options, "-S", f"127.0.0.1:{port}", "-t", str(root), str(folder / "router.php")]
    env = {"PHP_CLI_SERVER_WORKERS": "2", "WP_ENV": "local", **env}
    log = folder / f"php-{port}.log"
    with _process(command, log, env) as server:
        _await(lambda: _listens(port), server, log)
        yield


@contextmanager
def _process(command: Sequence[str], log: Path, env: Env | None = None) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            env={**os.environ, **(env or {})},
            start_new_session=True,  # PHP's workers end with it only as a group
        )
    try:
        yield server
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _await(ready: Any, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if server.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"a server did not start: {log.read_text()[-1000:]}")
        time.sleep(0.02)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def _run(command: Sequence[str], env: Env | None = None) -> str:
    done = subprocess.run(
        command, env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, f"{command[0]} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


_CONFIG = """<?php
define('DB_NAME', 'wp'); define('DB_USER', 'wp'); define('DB_PASSWORD', 'wp');
define('DB_HOST', 'localhost:SOCKET'); define('DB_CHARSET', 'utf8mb4'); define('DB_COLLATE', '');
foreach (['AUTH', 'SECURE_AUTH', 'LOGGED_IN', 'NONCE'] as $name) {
    define("{$name}_KEY", "only for tests $name"); define("{$name}_SALT", "only for tests, too $name");
}
define('WP_HOME', getenv('WP_URL')); define('WP_SITEURL', getenv('WP_URL'));
define('WP_ENVIRONMENT_TYPE', getenv('WP_ENV') ?: 'production');
if (($_SERVER['HTTP_X_FORWARDED_PROTO'] ?? '') === 'https') $_SERVER['HTTPS'] = 'on';
define('WP_HTTP_BLOCK_EXTERNAL', true); define('DISABLE_WP_CRON', true); define('AUTOMATIC_UPDATER_DISABLED', true);
$table_prefix = 'wp_';
if (!defined('ABSPATH')) define('ABSPATH', __DIR__ . '/');
require_once ABSPATH . 'wp-settings.php';
"""

_INSTALL = """<?php
$_SERVER += ['HTTP_HOST' => '127.0.0.1', 'SERVER_PROTOCOL' => 'HTTP/1.1', 'REQUEST_METHOD' => 'GET',
             'REQUEST_URI' => '/', 'SERVER_NAME' => '127.0.0.1'];
define('WP_INSTALLING', true);
require getenv('WP_ROOT') . '/wp-load.php';
require_once ABSPATH . 'wp-admin/includes/upgrade.php';
wp_install('Test site', 'admin', 'admin@example.test', true, '', 'login-password-of-admin');
update_option('permalink_structure', '/%year%/%monthnum%/%postname%/');
foreach (['editor', 'author', 'contributor'] as $role) {
    wp_insert_user(['user_login' => $role, 'user_pass' => "login-password-of-$role",
                    'user_email' => "$role@example.test", 'role' => $role]);
}
$passwords = [];
foreach (['admin', 'editor', 'author', 'contributor'] as $user) {
    $id = get_user_by('login', $user)->ID;
    [$passwords[$user]] = WP_Application_Passwords::create_new_application_password($id, ['name' => 'relay']);
}
echo "\\n", json_encode($passwords), "\\n";
"""

_SWITCHES = """<?php
// what the tests turn otherwise than WordPress comes
if (getenv('WP_PLAIN')) add_filter('pre_option_permalink_structure', fn() => '');
if ($type = getenv('WP_REFUSED_TYPE')) {
    add_filter('upload_mimes', fn($all) => array_diff($all, [$type]));
}
add_action('init', fn() => register_post_type('film', [
    'public' => true, 'show_in_rest' => true, 'rest_base' => 'films', 'supports' => ['title', 'editor', 'author'],
]));
"""

_ROUTER = """<?php
// PHP's own server hands each request to this: files as they are, everything else to WordPress
if (getenv('WP_NO_LOGIN')) unset($_SERVER['PHP_AUTH_USER'], $_SERVER['PHP_AUTH_PW'], $_SERVER['HTTP_AUTHORIZATION']);
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
$under = getenv('WP_UNDER') ?: '';
$root = $_SERVER['DOCUMENT_ROOT'];
if ($path !== '/' && is_file($root . $path)) return false;
if (is_dir("$root$path") && is_file("$root$path/index.php") && rtrim($path, '/') !== $under) {
    require "$root$path/index.php";
    return;
}
$_SERVER['SCRIPT_NAME'] = $_SERVER['PHP_SELF'] = "$under/index.php";
$_SERVER['SCRIPT_FILENAME'] = "$root$under/index.php";
require "$root$under/index.php";
"""
