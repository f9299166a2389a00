package image

import (
	"io/fs"
	"os"
)

// Core is the image of core and extension: the static binary and nothing else.
func Core(version, binary string) Image {
	return Image{
		Ref: "interlock:" + version, Files: map[string]string{"/interlock": binary},
		Dirs: map[string]os.FileMode{
			"/run/interlock": 0o755, "/tmp": 0o777 | fs.ModeSticky, "/var/lib/interlock": 0o755,
		},
		Entrypoint: []string{"/interlock"},
	}
}

// Proxy is the image of a proxy: HAProxy's root file system and the binary.
func Proxy(version, binary, haproxyRoot string) Image {
	i := Core(version, binary)
	i.Ref, i.Base = "interlock-proxy:"+version, haproxyRoot
	delete(i.Dirs, "/tmp") // the base has it
	i.Cmd, i.StopSignal = []string{"proxy"}, "SIGTERM"
	return i
}

// Demo is the image of the demo application.
func Demo(version, binary string) Image {
	return Image{
		Ref: "interlock-demo:" + version, Files: map[string]string{"/demo": binary},
		Entrypoint: []string{"/demo"}, Env: []string{"VERSION=" + version},
	}
}

// Faulty is the image of an extension with a fault.
func Faulty(version, binary string) Image {
	i := Core(version, binary)
	i.Ref = "interlock-faulty:" + version
	return i
}
