"""What is really there, and the hands that change it: one folder a backend."""
