"""What `deploy/` holds fits the server that it deploys, and its own parts each other."""
