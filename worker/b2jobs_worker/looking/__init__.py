"""Looking at what is in B2, page by page: a listing that is handed over, and what it adds up to."""
