package server

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/edri-io/edri/client"
)

// askMembersFor bounds the question to one member's API.
const askMembersFor = 2 * time.Second

// raftAddresses asks the APIs of members where the raft ports of all of them are.
// A person knows the API; nodes meet at the raft port.
func raftAddresses(ctx context.Context, urls []string, logger *slog.Logger) []string {
	ctx, cancel := context.WithTimeout(ctx, askMembersFor)
	defer cancel()
	c, err := client.New(client.Config{Servers: urls})
	if err != nil {
		logger.Error("members cannot be asked", "urls", urls, "error", err)
		return nil
	}
	defer c.Close()
	found := make([][]string, len(urls))
	var asking sync.WaitGroup
	for i, url := range urls {
		asking.Go(func() {
			status, err := c.StatusOf(ctx, url)
			if err != nil {
				logger.Debug("a member does not answer", "url", url, "error", err)
				return
			}
			for _, m := range status.Members {
				found[i] = append(found[i], m.RaftAddress)
			}
		})
	}
	asking.Wait()
	var addresses []string
	known := map[string]bool{"": true}
	for _, list := range found {
		for _, address := range list {
			if !known[address] {
				known[address] = true
				addresses = append(addresses, address)
			}
		}
	}
	return addresses
}
