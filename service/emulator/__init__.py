"""An emulator of the Story API, made from the provider's page alone: it imports nothing of the project."""

from service.emulator.app import create_app
from service.emulator.faults import BadFault
from service.emulator.options import EmulatorOptions
from service.emulator.reports import Call, StoryReport
from service.emulator.server import EmulatorServer
from service.emulator.webhooks import WebhookDelivery

__all__ = [
    "BadFault",
    "Call",
    "EmulatorOptions",
    "EmulatorServer",
    "StoryReport",
    "WebhookDelivery",
    "create_app",
]
