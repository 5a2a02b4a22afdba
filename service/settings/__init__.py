"""The settings: one frozen object, read from the environment once."""

from service.settings.fields import Settings, variable
from service.settings.loading import SettingsError, load_settings, make_secret_keys
from service.settings.table import settings_table

__all__ = ["Settings", "SettingsError", "load_settings", "make_secret_keys", "settings_table", "variable"]
