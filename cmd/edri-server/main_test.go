package main

import (
	"bufio"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"edri-server": main})
}

// The scripts are in testdata/script: what a person types, and what comes of it.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:  filepath.Join("testdata", "script"),
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"ready": ready, "free": free},
		// A node that does not stop fails the script instead of the whole run.
		Deadline: time.Now().Add(2 * time.Minute),
	})
}

// ready waits until the node whose output is in a file has printed its API's URL
// and is ready there.
//
//	ready FILE
func ready(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: ready FILE")
	}
	path := ts.MkAbs(args[0])
	url := regexp.MustCompile(`API\s+(http://\S+)|msg="node runs".* api=(http://\S+)`)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for range 2000 {
		<-again.C
		file, err := os.Open(path)
		if err != nil {
			continue // not there yet
		}
		found := ""
		for lines := bufio.NewScanner(file); lines.Scan(); {
			if m := url.FindStringSubmatch(lines.Text()); m != nil {
				found = m[1] + m[2]
			}
		}
		ts.Check(file.Close())
		if found == "" {
			continue
		}
		resp, err := http.Get(found + "/readyz")
		if err != nil {
			continue
		}
		ts.Check(resp.Body.Close())
		if resp.StatusCode == http.StatusOK {
			ts.Setenv("API", found)
			return
		}
	}
	ts.Fatalf("no ready node in %s:\n%s", args[0], ts.ReadFile(args[0]))
}

// free sets variables to addresses of this machine on which nobody listens.
//
//	free NAME...
func free(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: free NAME...")
	}
	for _, name := range args {
		address, err := freeAddress()
		ts.Check(err)
		ts.Setenv(name, address)
	}
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
