"""Storyrelay: receives, reconciles and records; handlers build on it."""
