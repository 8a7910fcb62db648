"""The pages: each module reads for one page and takes what is pressed on it."""
