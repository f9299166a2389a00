package migrate

import "testing"

// TestVerify: a text that reads in another way than was meant is not accepted,
// whatever the difference.
func TestVerify(t *testing.T) {
	const before = "services:\n  web:\n    image: x\n    deploy: {labels: {traefik.port: '80', a: &b c, d: *b}}\n"
	for after, want := range map[string]bool{
		"services: {web: {image: x, deploy: {labels: {com.docker.lb.port: \"80\", a: &b c, d: *b}}}}":          true,
		"services: {web: {image: x, deploy: {labels: {com.docker.lb.port: 80, a: &b c, d: *b}}}}":              false,
		"services: {web: {image: x, deploy: {labels: {com.docker.lb.port: \"80\", a: &e c, d: *e}}}}":          false,
		"services: {web: {image: x, deploy: {labels: {com.docker.lb.port: \"80\", a: c, d: c}}}}":              false,
		"services: {web: {image: x, deploy: {labels: {a: &b c, com.docker.lb.port: \"80\", d: *b}}}}":          false,
		"services: {web: {image: y, deploy: {labels: {com.docker.lb.port: \"80\", a: &b c, d: *b}}}}":          false,
		"services: {web: {image: x, deploy: {labels: {com.docker.lb.port: \"80\", a: &b c, d: *b, e: f}}}}":    false,
		"services: {web: {image: x, deploy: {labels: {com.docker.lb.port: \"80\", a: &b c, d: *b}}}}: [broken": false,
	} {
		root, err := parse([]byte(before))
		if err != nil {
			t.Fatal(err)
		}
		w := worldOf(root, dialectOf(Traefik), Source{})
		o := outcome{wishes: []wish{{from: 0, name: "port", value: "80"}}}
		if err := verify(root, []byte(after), []change{{w.services[0], o}}); (err == nil) != want {
			t.Errorf("%s: %v", after, err)
		}
	}
}
