"""The domains: each is one file, top to bottom: ids, events, commands, aggregate, handler, service."""
