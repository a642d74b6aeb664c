"""What is wanted: from a file, its variables and its environment to a graph of resources."""
