"""The web page: files for the browser, and the samples as they come. Nothing on it is fetched from elsewhere."""
