"""The names that the Story API knows, by its V2 reference: tools, voices, ratios, languages, bounds."""

from typing import Literal

AutoImageTool = Literal["AutoI", "Seedream", "FluxTurbo", "NanoBanana", "QwenImage"]
ImageTool = Literal[
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
AutoVideoTool = Literal[
    "Auto", "KlingAI", "Seedance", "Pixverse", "VeoFast", "Vidu", "AutoT1", "VeoLite", "PVideo"
]
VideoTool = Literal[
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
Narrator = Literal[
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

LONGEST_ID = 200
"""Characters. The reference names no bound; its own ids have about 20."""
MOST_SCENES = 1_000_000
"""The reference names no upper bound; this one only keeps a price within a 32-bit column."""
