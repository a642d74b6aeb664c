"""Making a plan true: concurrently, recorded change by change, and told as it goes."""
