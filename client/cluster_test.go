package client_test

import (
	"testing"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/client/clienttest"
	"github.com/edri-io/edri/managers/managerstest"
	"github.com/edri-io/edri/server/servertest"
)

// node runs a cluster of one until the test ends, and returns its URL.
func node(t *testing.T) string {
	t.Helper()
	return servertest.Node(t, nil)
}

func TestClientIsAClusterForManagers(t *testing.T) {
	t.Parallel()
	url := node(t)
	managerstest.Run(t, func(t *testing.T) managerstest.Harness {
		c, err := client.New(client.Config{Servers: []string{url}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return clienttest.Harness(c)
	})
}
