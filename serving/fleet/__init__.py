"""Several processes that serve as one: `--workers=N`. Only the supervisor and its workers import this."""
