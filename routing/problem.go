package routing

// Severity says what a problem costs.
type Severity string

const (
	// Error: something asked for is not served as asked.
	Error Severity = "error"
	// Warning: it is served, but likely not as meant.
	Warning Severity = "warning"
	// Info: worth knowing, nothing to do.
	Info Severity = "info"
)

// Problem is one finding: a value beside a result, never an error of ours.
// Code is stable and has a section in docs/problems.md. Message says what is
// wrong, Hint what to write instead. File and Line are set where the finding
// is about a file.
type Problem struct {
	Code     string   `json:"code"`
	Severity Severity `json:"severity"`
	Cluster  string   `json:"cluster"`
	Service  string   `json:"service"`
	Label    string   `json:"label"`
	Message  string   `json:"message"`
	Hint     string   `json:"hint"`
	File     string   `json:"file,omitempty"`
	Line     int      `json:"line,omitempty"`
}
