"""What kvstack is measured by, next to terraform and tofu, as whole processes."""
