package integration

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/edri-io/edri/integration/cluster"
)

// metricOf returns the value of a node's metric, of the member whose server id
// begins so; an empty one where the metric has no labels.
func metricOf(t *testing.T, ctx context.Context, n *cluster.Node, name, member string) float64 {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.URL()+"/metrics", nil)
	must(t, err)
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	prefix := name + " "
	if member != "" {
		prefix = name + `{member="` + member
	}
	for line := range strings.Lines(string(body)) {
		if !strings.HasPrefix(line, prefix) {
			continue
		}
		fields := strings.Fields(line)
		value, err := strconv.ParseFloat(fields[len(fields)-1], 64)
		must(t, err)
		return value
	}
	t.Fatalf("%s has no metric %s of %q", n.Name, name, member)
	return 0
}
