"""What has to happen so that what is there is what is declared: data in, data out."""
