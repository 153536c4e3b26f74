"""A discrete-event simulation of the embedded server, and of a fleet of it that Kubernetes scales."""
