package workflows

import "testing"

func TestAnUnknownHandlerNamesThoseThatAreThere(t *testing.T) {
	t.Parallel()
	for want, known := range map[string]map[string]int{
		`the run has no query "state"; it has: total, where`: {"where": 1, "total": 1},
		`the run has no query "state"; it has none`:          nil,
	} {
		if got := unknownHandler("query", "state", known).Message; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
