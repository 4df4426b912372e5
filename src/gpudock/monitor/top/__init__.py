"""`gpudock top`: GPUs, and who has them, in a terminal. view decides what is shown; the rest draws it with textual."""
