package stackfile

// LoadFrom is Load with the files' text from elsewhere.
var LoadFrom = load
