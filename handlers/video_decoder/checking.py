"""Reads a whole video and decodes it, to know that what will be published can be played.

Decoding is single-threaded on purpose: it costs the least processor time, and FFmpeg marks a damaged frame as
corrupt only then (with slice threads zeroed blocks of up to 4 kB went unnoticed in every trial).
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from handlers.video_decoder.facts import VideoFacts, VideoLimits, VideoRefused


@contextmanager
def opened(path: Path, limits: VideoLimits) -> Iterator[InputContainer]:
    """Open an MP4 file and nothing else: no other format is guessed and no other file or address is followed."""
    options = {"protocol_whitelist": "file", "max_pixels": str(limits.max_pixels), "threads": "1"}
    try:
        with av.open(
            f"file:{path}", "r", format="mov", options=options, metadata_errors="replace"
        ) as container:
            yield container
    except (av.error.MemoryError, MemoryError) as error:
        raise VideoRefused(f"decoding it needs more than {limits.memory_bytes / 2**20:,.0f} MiB") from error
    except FFmpegError as error:
        raise VideoRefused(f"it can't be decoded: {error.strerror or type(error).__name__}") from error


def main_video(container: InputContainer, limits: VideoLimits) -> VideoStream:
    """Pick the film among a file's video streams (cover pictures aren't), ready for decoding; VideoRefused if none."""
    films = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not films:
        raise VideoRefused("it has no video stream")
    film = films[0]
    if _context(film) is None:
        raise VideoRefused("its video is in a format that can't be decoded")
    check_size(film.codec_context.width, film.codec_context.height, limits)
    _single_thread(film, limits)
    return film


def check_size(width: int, height: int, limits: VideoLimits) -> None:
    """Raise VideoRefused for a picture with no pixels, or more than the limits allow."""
    if width < 1 or height < 1:
        raise VideoRefused("its pictures have no size")
    if max(width, height) > limits.max_side or width * height > limits.max_pixels:
        raise VideoRefused(f"its pictures of {width} × {height} pixels are too large")


def displayed(frame: VideoFrame, film: VideoStream) -> tuple[int, int]:
    """Width and height in square pixels after rotation, as a browser shows the frame."""
    width, height = frame.width, frame.height
    ratio = film.sample_aspect_ratio
    if ratio is not None and Fraction(1, 8) <= ratio <= 8:
        width = max(1, round(width * ratio))
    return (height, width) if quarter_turns(frame) % 2 else (width, height)


def quarter_turns(frame: VideoFrame) -> int:
    """How many quarter turns anticlockwise show the frame upright: 0 to 3."""
    return round(frame.rotation / 90) % 4


def check(path: Path, limits: VideoLimits) -> VideoFacts:
    """Demux all, decode as much as the limits allow; raises VideoRefused and OSError."""
    with opened(path, limits) as container:
        if len(container.streams) > limits.max_streams:
            raise VideoRefused(f"it has {len(container.streams)} streams, more than {limits.max_streams}")
        film = main_video(container, limits)
        # Smoothing the blocks' edges is a fifth of the work and hides no damage.
        film.codec_context.options = {**film.codec_context.options, "skip_loop_filter": "all"}
        sound = _main_audio(container, limits)
        declared = (container.duration or 0) / av.time_base
        _check_seconds(declared, limits)
        reading = _Reading(film, sound, limits)
        reading.read(container)
        seconds = _agreed_seconds(declared, reading.end)
        _check_seconds(seconds, limits)
        frame = reading.first_frame
        if frame is None:
            raise VideoRefused("it has no picture that can be decoded")
        width, height = displayed(frame, film)
        return VideoFacts(
            bytes=path.stat().st_size,
            seconds=round(seconds, 3),
            width=width,
            height=height,
            video_codec=film.codec_context.name,
            audio_codec=sound.codec_context.name if sound is not None else None,
            frames=reading.packets,
        )


@dataclass
class _Reading:
    """One pass over all packets of a file, decoding on the way."""

    film: VideoStream
    sound: AudioStream | None
    limits: VideoLimits
    packets: int = 0
    end: float = 0.0
    first_frame: VideoFrame | None = None
    in_step: bool = False
    spent: float = 0.0

    def read(self, container: InputContainer) -> None:
        for packet in container.demux():
            if packet.size:
                self._count(packet)
            self._decode(packet)
        if self.packets < len(self.film.index_entries):
            raise VideoRefused(
                f"only {self.packets:,} of its {len(self.film.index_entries):,} pictures are there", cut=True
            )

    def _count(self, packet: "Packet[Stream]") -> None:
        if packet.is_corrupt:
            raise VideoRefused("it ends inside a picture or sound", cut=True)
        if packet.stream is self.film:
            self.packets += 1
            self.in_step = self.in_step or packet.is_keyframe
        moment = packet.pts if packet.pts is not None else packet.dts
        if moment is not None and packet.time_base is not None:
            self.end = max(self.end, float((moment + (packet.duration or 0)) * packet.time_base))

    def _decode(self, packet: "Packet[Stream]") -> None:
        if packet.stream is not self.film and packet.stream is not self.sound:
            return
        if not self._affordable(packet):
            return
        before = time.process_time()
        for frame in packet.decode():
            self._look(frame)
        self.spent += time.process_time() - before

    def _affordable(self, packet: "Packet[Stream]") -> bool:
        """Everything at first; then keyframes alone, spread over the rest of the file; the flush at the end never."""
        budget = self.limits.decode_seconds
        if self.spent < budget:
            return True
        if not packet.size or not packet.is_keyframe or packet.stream is not self.film:
            return False
        return self.spent < budget * (1 + self.packets / max(1, len(self.film.index_entries)))

    def _look(self, frame: object) -> None:
        if not isinstance(frame, VideoFrame):
            return
        check_size(frame.width, frame.height, self.limits)
        # Before the first keyframe a decoder lacks what the pictures refer to: that isn't damage.
        if frame.is_corrupt and self.in_step:
            raise VideoRefused(f"its picture at {frame.time or 0:.1f} s is damaged")
        self.first_frame = self.first_frame or frame


def _main_audio(container: InputContainer, limits: VideoLimits) -> AudioStream | None:
    sounds = [s for s in container.streams.audio if _context(s) is not None]
    for sound in sounds[:1]:
        _single_thread(sound, limits)
        return sound
    return None


def _context(stream: Stream) -> object | None:
    """The stream's decoder; None where FFmpeg has none, which PyAV's types leave out."""
    return stream.codec_context


def _single_thread(stream: VideoStream | AudioStream, limits: VideoLimits) -> None:
    stream.codec_context.thread_count = 1
    stream.codec_context.thread_type = "NONE"
    if isinstance(stream, VideoStream):
        stream.codec_context.options = {"max_pixels": str(limits.max_pixels)}


def _check_seconds(seconds: float, limits: VideoLimits) -> None:
    if seconds > limits.max_seconds:
        raise VideoRefused(f"it is {seconds:,.0f} s long, more than {limits.max_seconds:,.0f} s")


def _agreed_seconds(declared: float, seen: float) -> float:
    """The declared length, unless the packets end elsewhere: earlier is a cut, later is taken as it is."""
    tolerance = max(1.0, declared * 0.02)
    if declared - seen > tolerance:
        raise VideoRefused(f"it ends after {seen:.1f} s of the {declared:.1f} s that it declares", cut=True)
    return declared if declared and abs(declared - seen) <= tolerance else seen
