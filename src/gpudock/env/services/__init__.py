"""What answers inside an environment: commands, secrets, addresses, and how they are reached from elsewhere."""
