package cluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
)

// Ports are drawn below the range from which systems take the ports of outgoing
// connections, so that a node finds its own free again when it restarts.
const (
	firstPort = 12000
	lastPort  = 32000
	portTries = 1000
)

// freeAddresses returns n distinct addresses of the loopback interface on which
// nobody listens.
func freeAddresses(n int) ([]string, error) {
	var addresses []string
	for range portTries {
		if len(addresses) == n {
			return addresses, nil
		}
		address := fmt.Sprintf("127.0.0.1:%d", firstPort+rand.IntN(lastPort-firstPort))
		if slices.Contains(addresses, address) {
			continue
		}
		listener, err := net.Listen("tcp", address)
		if err != nil {
			continue // taken
		}
		if err := listener.Close(); err != nil {
			return nil, fmt.Errorf("look for free ports: %w", err)
		}
		addresses = append(addresses, address)
	}
	return nil, errors.New("look for free ports: too few are free")
}
