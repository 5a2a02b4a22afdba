"""The demo: eight stories, each with a misfortune, through all of the service on this machine."""
