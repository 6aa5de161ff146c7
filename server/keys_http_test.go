package server

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

// curl finds a request of a guide: procedure, body, and what the answer has at least.
var curl = regexp.MustCompile(`(?m)^curl -s http://127\.0\.0\.1:7420(/edri\.v1\.\w+/\w+) -H 'content-type: application/json' \\\n  -d '(.*)'\n# (.*)$`)

func TestHTTPIsAsTheGuidesSay(t *testing.T) {
	t.Parallel()
	for _, guide := range []string{"keys", "workflows"} {
		t.Run(guide, func(t *testing.T) {
			t.Parallel()
			holdToGuide(t, "../docs/"+guide+".md")
		})
	}
}

// holdToGuide makes the requests of a guide, in its order.
func holdToGuide(t *testing.T, path string) {
	t.Helper()
	guide, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	requests := curl.FindAllStringSubmatch(string(guide), -1)
	if n := strings.Count(string(guide), "curl -s"); n == 0 || n != len(requests) {
		t.Fatalf("%d of %d requests of the guide are understood", len(requests), n)
	}
	s := start(t, single(t))
	s.get(t, "/readyz", isOK) // it has a leader
	for _, r := range requests {
		response, err := http.Post(s.URL()+r[1], "application/json", strings.NewReader(r[2]))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		var got, want any
		if err := json.Unmarshal(body, &got); err != nil {
			t.Errorf("%s %s: %s is no JSON: %v", r[1], r[2], body, err)
			continue
		}
		if err := json.Unmarshal([]byte(r[3]), &want); err != nil {
			t.Fatalf("the guide has %s: %v", r[3], err)
		}
		if !includes(got, want) {
			t.Errorf("%s %s: got %s, want at least %s", r[1], r[2], body, r[3])
		}
	}
}

// A member that the schema does not have is refused, not passed over.
func TestKeysOverHTTPAreStrict(t *testing.T) {
	t.Parallel()
	s := start(t, single(t))
	s.get(t, "/readyz", isOK)
	for path, body := range map[string]string{
		"Put":     `{"bucket":"default","key":"k","value":"dg==","revisoin":"1"}`,
		"Get":     `{"bucket":"default","kee":"k"}`,
		"GetMany": `{"keys":[{"bucket":"default","key":"k"}],"consistensy":1}`,
	} {
		response, err := http.Post(s.URL()+"/edri.v1.Keys/"+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode != http.StatusBadRequest || !strings.Contains(string(answer), "invalid_argument") {
			t.Errorf("%s %s: status %d, %s", path, body, response.StatusCode, answer)
		}
	}
}

// includes reports whether got has all that want has.
func includes(got, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		is, ok := got.(map[string]any)
		for name, value := range want {
			ok = ok && includes(is[name], value)
		}
		return ok
	case []any:
		is, ok := got.([]any)
		ok = ok && len(is) == len(want)
		for i := range want {
			ok = ok && includes(is[i], want[i])
		}
		return ok
	}
	return got == want
}
