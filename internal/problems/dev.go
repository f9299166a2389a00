package problems

import "interlock/routing"

// Codes of `interlock dev`.
const (
	DevUpstream = "dev-upstream"
	DevFile     = "dev-file"
)

func devEntries() []Entry {
	return []Entry{
		{DevUpstream, routing.Error,
			"`com.docker.interlock.dev.upstream` is not a list of addresses with ports. Under `interlock dev` the service has no endpoint.",
			"com.docker.interlock.dev.upstream: my-laptop",
			"Write `127.0.0.1:9000`, several with commas between them, or remove the label to have the service played."},
		{DevFile, routing.Error,
			"`interlock dev` can't read a stack file. What it said before stays in force.",
			"a file without read permission, or larger than 1 MiB",
			"Make the file readable."},
	}
}
