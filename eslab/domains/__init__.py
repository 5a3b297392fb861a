"""The domains; each reads from top to bottom: ids, events, commands, aggregate, handler, service."""
