"""Storyrelay: receives, reconciles and records; handlers build on it."""

from importlib.metadata import version

VERSION = version("storyrelay")
