package problems

import "interlock/routing"

// Codes about stack files.
const (
	StackfileSyntax            = "stackfile-syntax"
	StackfileRefused           = "stackfile-refused"
	StackfileBooleanLabel      = "stackfile-boolean-label"
	StackfileVariable          = "stackfile-variable"
	StackfileVariableUnset     = "stackfile-variable-unset"
	StackfileDuplicate         = "stackfile-duplicate"
	StackfileNumber            = "stackfile-number"
	StackfileNetwork           = "stackfile-network"
	StackfilePublishedPort     = "stackfile-published-port"
	StackfileDeployMissing     = "stackfile-deploy-missing"
	StackfileLabelWithoutValue = "stackfile-label-without-value"
	StackfileDocuments         = "stackfile-documents"
	StackfileObject            = "stackfile-object"
	StackfileNetworkDriver     = "stackfile-network-driver"
	StackfileJob               = "stackfile-job"
)

func stackfileEntries() []Entry {
	return []Entry{
		{StackfileSyntax, routing.Error,
			"The file is not valid YAML, so nothing in it can be deployed.",
			"labels:\n\tcom.docker.lb.hosts: app.example.com   # a tab",
			"Correct the line that the problem names."},
		{StackfileRefused, routing.Error,
			"`docker stack deploy` refuses the file.",
			"services:\n  web:\n    deploy: [replicas]",
			"Correct what the message names."},
		{StackfileBooleanLabel, routing.Error,
			"A label's value is a YAML boolean. Docker refuses it: it must be a string, number or null.",
			"com.docker.lb.ip_hash: true",
			"Put it in quotes: `\"true\"`."},
		{StackfileVariable, routing.Error,
			"A `$` is not followed by a variable that Docker can substitute, or a required variable is not set. Docker refuses the file.",
			"com.docker.lb.hosts: $(hostname).example.com",
			"Write `${NAME}`, or `$$` for one `$`; set the required variable."},
		{StackfileVariableUnset, routing.Warning,
			"A routing label uses a variable that is not set. Docker replaces it by nothing without a word.",
			"com.docker.lb.hosts: ${HOST}",
			"Set the variable, or write `${HOST?}` so that the deployment fails without it."},
		{StackfileDuplicate, routing.Error,
			"The same key, or the same label in a list, is there twice. Docker refuses the former and silently takes the last of the latter.",
			"labels:\n  - com.docker.lb.port=80\n  - com.docker.lb.port=8080",
			"Keep one."},
		{StackfileNumber, routing.Warning,
			"An unquoted number is rewritten by YAML before Docker sees it.",
			"com.docker.lb.port: 0080   # becomes 80",
			"Put the value in quotes."},
		{StackfileNetwork, routing.Error,
			"A network that the service uses is not declared in the file. `docker stack deploy` refuses it.",
			"services:\n  web:\n    networks: [web]   # no networks: at the end",
			"Declare it under the file's `networks:`, with `external: true` where it exists already."},
		{StackfilePublishedPort, routing.Warning,
			"`com.docker.lb.port` is the port that the service publishes, not the one inside its container.",
			"ports: [\"8080:80\"]\n…\ncom.docker.lb.port: \"8080\"",
			"Write the container's port. For routing it need not be published."},
		{StackfileDeployMissing, routing.Info,
			"No service of the file asks for routing.",
			"a stack file without com.docker.lb labels",
			"Nothing, if that is meant. Otherwise add `deploy: labels:`."},
		{StackfileLabelWithoutValue, routing.Warning,
			"A label in a list has no value. Docker takes it as empty.",
			"labels:\n  - com.docker.lb.hosts",
			"Write `com.docker.lb.hosts=app.example.com`."},
		{StackfileDocuments, routing.Warning,
			"The file has several YAML documents. Docker reads the first and ignores the others without a word.",
			"services:\n  web: …\n---\nservices:\n  api: …",
			"Make each document a file of its own."},
		{StackfileObject, routing.Error,
			"A secret or config that the service uses is not declared in the file. `docker stack deploy` refuses it.",
			"services:\n  web:\n    secrets: [key]   # no secrets: at the end",
			"Declare it under the file's `secrets:` or `configs:`, with `external: true` where it exists already."},
		{StackfileNetworkDriver, routing.Error,
			"The service asks for routing and is on a network that ends at its node, such as `host` or one with `driver: bridge`. The proxies reach services over overlay networks only.",
			"networks:\n  outside: {external: true, name: host}",
			"Put the service on an overlay network that the proxies are on, and take it off the other."},
		{StackfileJob, routing.Error,
			"The service asks for routing and is a job. A job's tasks end; no request is sent to them.",
			"deploy:\n  mode: replicated-job",
			"Write `mode: replicated` or `mode: global`, or remove the routing labels."},
	}
}
