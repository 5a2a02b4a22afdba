"""Servers that answer as the places do, for the demo and the tests. They import nothing else of the project."""
