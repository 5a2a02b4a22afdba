"""The files of the Slack stand-in: announced, sent, completed, and worked up by Slack in its own time."""

import itertools

from service.stand_ins.slack_shapes import Answer, Arguments, File, SlackError, file_shape, mimetype, needed


class Uploads:
    """What was uploaded. `processing`: how many looks a file needs before Slack has worked it up; until then it has
    no type, can't stand in an image block, and is not seen where it was shared. `largest`: the most bytes of one.
    """

    def __init__(self, processing: int) -> None:
        self.files: dict[str, File] = {}
        self.largest = 1_000_000_000
        self._processing = processing
        self._numbers = itertools.count(1)

    def announce(self, arguments: Arguments) -> File:
        """files.getUploadURLExternal, but for the URL."""
        name, length = needed(arguments, "filename"), int(needed(arguments, "length"))
        if length < 1:
            raise SlackError("missing_argument")
        if length > self.largest:
            raise SlackError("file_upload_size_restricted")
        file = File(f"F0STANDIN{next(self._numbers):04}", name, length)
        self.files[file.id] = file
        return file

    def uploaded(self, id_: str) -> File:
        """A file whose bytes have come."""
        file = self.files.get(id_)
        if file is None or file.bytes is None or file.deleted:
            raise SlackError("file_not_found")
        return file

    def info(self, arguments: Arguments) -> Answer:
        """files.info."""
        file = self._completed(needed(arguments, "file"))
        self.look(file.id)
        return {"ok": True, "file": self.shape(file.id)}

    def delete(self, arguments: Arguments) -> File:
        """files.delete, but for the messages that the file stands in."""
        file = self._completed(needed(arguments, "file"))
        file.deleted = True
        return file

    def look(self, id_: str) -> None:
        """Somebody looks at the file: it is worked up one step further."""
        self.files[id_].looks += 1

    def shape(self, id_: str) -> Answer:
        """The file as the Web API gives it now."""
        return file_shape(self.files[id_], worked_up=self.is_worked_up(id_))

    def is_worked_up(self, id_: str) -> bool:
        """Whether Slack is done with it."""
        file = self.files[id_]
        return file.completed and file.looks > self._processing

    def is_image(self, id_: str) -> bool:
        """Whether it can stand in an image block."""
        file = self.files.get(id_)
        if file is None or file.deleted:
            return False
        return self.is_worked_up(id_) and mimetype(file).startswith("image/")

    def _completed(self, id_: str) -> File:
        file = self.files.get(id_)
        if file is None or not file.completed:
            raise SlackError("file_not_found")
        if file.deleted:
            raise SlackError("file_deleted")
        return file
