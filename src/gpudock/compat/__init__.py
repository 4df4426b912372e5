"""What nvidia-docker's users have: its command lines, its volume plugin and REST interface, its compose files."""
