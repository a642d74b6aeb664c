"""What is allowed, and yet worth a warning: kvstack's own checks, the stack's rules, and policies of who runs it."""
