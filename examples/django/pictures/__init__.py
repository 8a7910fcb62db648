"""Pictures: a form, a page that waits for the upload, and a mail when it is stored."""
