package problems

import "interlock/routing"

// Codes about labels.
const (
	LabelHost              = "label-host"
	LabelHostUnderscore    = "label-host-underscore"
	LabelHostInternational = "label-host-international"
	LabelHostTwice         = "label-host-twice"
	LabelHostsMissing      = "label-hosts-missing"
	LabelPort              = "label-port"
	LabelPath              = "label-path"
	LabelBoolean           = "label-boolean"
	LabelNumber            = "label-number"
	LabelDuration          = "label-duration"
	LabelChoice            = "label-choice"
	LabelName              = "label-name"
	LabelPlaceholder       = "label-placeholder"
	LabelMisspelt          = "label-misspelt"
	LabelUnknown           = "label-unknown"
	LabelUnsupported       = "label-unsupported"
	LabelUnsupportedUnsafe = "label-unsupported-unsafe"
	LabelMisplaced         = "label-misplaced"
	LabelForeign           = "label-foreign"
	LabelHRM               = "label-hrm"
	LabelNetworkPrefix     = "label-network-prefix"
	LabelWithoutEffect     = "label-without-effect"
	LabelsTooLarge         = "labels-too-large"
	LabelAllow             = "label-allow"
	LabelHeader            = "label-header"
)

func labelEntries() []Entry {
	return []Entry{
		{LabelHost, routing.Error,
			"A value in `com.docker.lb.hosts` (or a redirect's name) is not a host name. The service's new labels are not accepted: it keeps its last good route, or has none.",
			"com.docker.lb.hosts: https://app.example.com:443/shop",
			"Write names only, separated by commas: `app.example.com,*.apps.example.com`. No scheme, port, path, blank inside a name, IP address or `localhost`."},
		{LabelHostUnderscore, routing.Warning,
			"A host name contains `_`. It is served, but some clients and certificate authorities refuse such names.",
			"com.docker.lb.hosts: my_app.example.com",
			"Use `-` instead of `_` where you can."},
		{LabelHostInternational, routing.Warning,
			"A host name contains letters beyond ASCII and is served under its `xn--` form, which is what browsers send.",
			"com.docker.lb.hosts: bücher.example.com",
			"Check that the name is the one you mean: letters of other alphabets can look alike."},
		{LabelHostTwice, routing.Info,
			"A host name is listed twice in one label. It counts once.",
			"com.docker.lb.hosts: app.example.com,APP.example.com",
			"Remove the second one."},
		{LabelHostsMissing, routing.Error,
			"The service has routing labels but no host to be reached under: `com.docker.lb.hosts` is absent or empty, often because of a variable that was not set. The labels are not accepted.",
			"com.docker.lb.hosts: ${HOST}",
			"Set `com.docker.lb.hosts`, or `com.docker.lb.default_backend: \"true\"` where the operator allows it. Write `${HOST?}` so that a deployment without the variable fails."},
		{LabelPort, routing.Error,
			"`com.docker.lb.port` is not a port number from 1 to 65535. The labels are not accepted.",
			"com.docker.lb.port: 8080/tcp",
			"Write the port that the application listens on inside its container, as plain digits: `\"8080\"`."},
		{LabelPath, routing.Error,
			"A path is not in normal form: it must start with `/` and hold no `//`, `.` or `..` segment, query, blank, control or non-ASCII character, and no encoded slash, backslash or unreserved character. The labels are not accepted.",
			"com.docker.lb.context_root: /shop/../admin",
			"Write the path as clients send it, for example `/shop`."},
		{LabelBoolean, routing.Error,
			"A value that must be true or false is something else. The labels are not accepted.",
			"com.docker.lb.ip_hash: yes",
			"Write `\"true\"` or `\"false\"`, in quotes (YAML would otherwise make it a boolean, which Docker refuses as a label)."},
		{LabelNumber, routing.Error,
			"A value must be a whole number within bounds. The labels are not accepted.",
			"com.docker.lb.max_fails: many",
			"Write plain digits, for example `\"3\"`."},
		{LabelDuration, routing.Error,
			"A value must be a duration within bounds. The labels are not accepted.",
			"com.docker.lb.fail_timeout: -1s",
			"Write a number and a unit, for example `10s`, `500ms` or `2m`."},
		{LabelChoice, routing.Error,
			"A value is none of those that the label knows. The labels are not accepted.",
			"com.docker.lb.algorithm: leastconn",
			"Write one of the values that the message lists."},
		{LabelName, routing.Error,
			"The name of a cluster or network contains characters that such names can't have. The labels are not accepted.",
			"com.docker.lb.network: ../web",
			"Write the name as `docker network ls` or the operator's config.toml shows it."},
		{LabelPlaceholder, routing.Error,
			"A placeholder of a template was deployed as it was. The labels are not accepted.",
			"com.docker.lb.hosts: <host>",
			"Replace the placeholder by the value it stands for."},
		{LabelMisspelt, routing.Error,
			"A label under `com.docker.lb.` is not one that exists, but close to one. The labels are not accepted, because what was meant would be missing.",
			"com.docker.lb.host: app.example.com",
			"Correct the spelling as the hint says."},
		{LabelUnknown, routing.Error,
			"A label under `com.docker.lb.` does not exist and is not close to one. The labels are not accepted. There are no labels for raw configuration, on purpose.",
			"com.docker.lb.snippet: return 200",
			"Remove it; docs/labels.md lists all labels."},
		{LabelUnsupported, routing.Warning,
			"This version knows the label but does not serve it yet. The service is routed as if the label were absent.",
			"com.docker.lb.weight: \"10\"",
			"Nothing; or remove the label until it is served."},
		{LabelUnsupportedUnsafe, routing.Error,
			"The label asks for a protection (TLS) that this version does not serve yet, and routing the service without it would be against its author's wish. The labels are not accepted.",
			"com.docker.lb.ssl_passthrough: \"true\"",
			"Remove the label if the service may be reached without it, or wait for a version that serves it."},
		{LabelMisplaced, routing.Error,
			"Routing labels are where they have no effect: on the container (`labels:` of the service) or directly under `deploy:`. It is a warning where the service has routing labels in the right place too.",
			"services:\n  web:\n    labels:\n      com.docker.lb.hosts: app.example.com",
			"Move them to `deploy: labels:`."},
		{LabelForeign, routing.Warning,
			"The service has labels of another router (Traefik, caddy-docker-proxy, docker-flow-proxy) and none of Interlock's, so it has no route here.",
			"traefik.http.routers.web.rule: Host(`app.example.com`)",
			"Set `com.docker.lb.hosts` and `com.docker.lb.port`; `interlock migrate traefik` rewrites files with Traefik's labels."},
		{LabelHRM, routing.Warning,
			"The service has labels of the HTTP routing mesh (HRM), Interlock's predecessor. They are not served.",
			"com.docker.ucp.mesh.http: external_route=http://app.example.com,internal_port=80",
			"Write `com.docker.lb.hosts: app.example.com` and `com.docker.lb.port: \"80\"`; the hint has the translation, and `interlock migrate hrm` rewrites files."},
		{LabelNetworkPrefix, routing.Warning,
			"`com.docker.network` is not a label of Interlock's and has no effect.",
			"com.docker.network: web",
			"Write `com.docker.lb.network: web`."},
		{LabelWithoutEffect, routing.Warning,
			"A label has no effect beside the others of the same service.",
			"com.docker.lb.context_root_rewrite: \"true\"   # without context_root",
			"Remove it, or add the label that it belongs to."},
		{LabelAllow, routing.Error,
			"`com.docker.lb.allow` is not a list of client addresses and networks, or differs from that of the service whose host and path it would share. The service is never opened because of it: it keeps its last good route only if that had a list too, and does not join the other service.",
			"com.docker.lb.allow: 10.0.0.1/8",
			"Write addresses and networks separated by commas: `10.0.0.0/8,192.0.2.7,2001:db8::/32`. Give services that share a host and path the same list."},
		{LabelHeader, routing.Error,
			"A label `com.docker.lb.headers.…` names a header that can't be set or that is the router's own, or its value is not one line of printable ASCII. The labels are not accepted.",
			"com.docker.lb.headers.request.X-Forwarded-For: 10.0.0.1",
			"Use a name of letters, digits and `-` that is not among those of [headers.request](labels.md), and a value in one line."},
		{LabelsTooLarge, routing.Error,
			"The service's labels are larger than what is read: 64 kB of text or 256 routing labels. They are not looked at any further.",
			"com.docker.lb.hosts: <a megabyte of text>",
			"Shorten the labels; a wildcard host (`*.apps.example.com`) replaces many names."},
	}
}
