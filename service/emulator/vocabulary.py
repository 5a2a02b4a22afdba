"""The words that the Story API knows, as its V2 page lists them call by call."""

from typing import Literal

ImageTool = Literal["AutoI", "Seedream", "FluxTurbo", "NanoBanana", "QwenImage"]
"""What draws the pictures in the automatic calls."""

StepImageTool = Literal[
    "AutoI",
    "Seedream",
    "NanoBananaT2",
    "NanoBananaPro",
    "QwenImage",
    "GPTImage",
    "FluxPro",
    "FluxTurbo",
    "NanoBanana",
    "FluxKontextPro",
    "StableDiffusion3.5",
    "Auto",
]
"""What draws the pictures in /elements and /scenes."""

VideoTool = Literal[
    "Auto", "KlingAI", "Seedance", "Pixverse", "VeoFast", "Vidu", "AutoT1", "VeoLite", "PVideo"
]
"""What moves the pictures in the automatic calls."""

StepVideoTool = Literal[
    "Auto",
    "AutoT3",
    "AutoT1",
    "Grok",
    "KlingAI",
    "KlingT3",
    "VeoLite",
    "VeoFast",
    "Veo",
    "RunwayML",
    "MinimaxHailuo",
    "Seedance",
    "SeedanceFast",
    "SeedanceT6",
    "Pixverse",
    "PixverseT3",
    "Hunyuan",
    "Vidu",
    "PVideo",
    "StaticMotion",
    "Wan",
    "Sora",
    "SoraPro",
    "LumaAI",
    "LumaRay2",
]
"""What moves the pictures in /videos."""

AspectRatio = Literal["16:9", "4:3", "1:1", "3:4", "9:16"]

Language = Literal[
    "Arabic",
    "Chinese",
    "English",
    "French",
    "German",
    "Hindi",
    "Japanese",
    "Korean",
    "Spanish",
    "Turkish",
]

Voice = Literal[
    "AutoV",
    "Rachel",
    "Aria",
    "Roger",
    "Sarah",
    "Laura",
    "Charlie",
    "George",
    "Callum",
    "River",
    "Liam",
    "Charlotte",
    "Alice",
    "Matilda",
    "Will",
    "Jessica",
    "Eric",
    "Chris",
    "Brian",
    "Daniel",
    "Lily",
    "Bill",
]

Status = Literal["new", "processing", "success", "fail"]
"""How a story stands."""
