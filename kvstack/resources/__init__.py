"""One file per resource type: everything kvstack knows to declare."""
