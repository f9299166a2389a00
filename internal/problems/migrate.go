package problems

import "interlock/routing"

// Codes of `interlock migrate`.
const (
	MigrateRefused = "migrate-refused"
	MigrateLost    = "migrate-lost"
	MigrateNote    = "migrate-note"
)

func migrateEntries() []Entry {
	return []Entry{
		{MigrateRefused, routing.Error,
			"`interlock migrate` leaves the service as it was: its route can't be expressed exactly, or without a part of it the service would be open to more than before, or its text is not its own.",
			"traefik.http.routers.web.rule: HostRegexp(`.+`)",
			"Do what the hint says, then migrate again; or write the service's labels by hand."},
		{MigrateLost, routing.Error,
			"`interlock migrate` did not express this label. It stays in the file, and the service is routed without what it asked for.",
			"traefik.http.routers.web.tls.certresolver: letsencrypt",
			"Read what is missing, provide it in another way or do without, and remove the label."},
		{MigrateNote, routing.Info,
			"`interlock migrate` expressed this label; the route differs in a detail, or the label had no effect.",
			"traefik.http.routers.web.rule: Host(`a.example.com`) && PathPrefix(`/api`)",
			"Nothing, unless the detail matters to you."},
	}
}
