"""The part that touches untrusted video with FFmpeg; runs in a process of its own with limits on memory and time."""
