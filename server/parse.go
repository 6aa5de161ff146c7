package server

import (
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The functions here read and write the values of settings. What format writes,
// parse reads; an error says what would have been right.

func parseBool(s string) (bool, error) {
	switch s {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", s)
}

func parseWord(s string, words ...string) (string, error) {
	if slices.Contains(words, s) {
		return s, nil
	}
	return "", fmt.Errorf("%q is none of %s", s, strings.Join(words, ", "))
}

func parseLevel(s string) (slog.Level, error) {
	for _, l := range levels {
		if s == formatLevel(l) {
			return l, nil
		}
	}
	return 0, fmt.Errorf("%q is none of debug, info, warn, error", s)
}

func formatLevel(l slog.Level) string { return strings.ToLower(l.String()) }

func parseCount(s string, lo, hi int64) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number in decimal digits", s)
	}
	if n < lo || n > hi {
		return 0, fmt.Errorf("%d is not from %d to %d", n, lo, hi)
	}
	return n, nil
}

var byteUnits = []struct {
	name  string
	bytes int64
}{{"GiB", gib}, {"MiB", mib}, {"KiB", 1 << 10}, {"B", 1}}

// parseReserve reads the size of the disk reserve; 0 is "auto".
func parseReserve(s string) (int64, error) {
	if s == "auto" {
		return 0, nil
	}
	n, err := parseBytes(s, mib, 1024*gib)
	if err != nil {
		return 0, fmt.Errorf("%w, nor auto", err)
	}
	return n, nil
}

func formatReserve(n int64) string {
	if n == 0 {
		return "auto"
	}
	return formatBytes(n)
}

// parseBytes reads a number of bytes, with KiB, MiB or GiB or without.
func parseBytes(s string, lo, hi int64) (int64, error) {
	digits, unit := s, int64(1)
	for _, u := range byteUnits {
		if rest, ok := strings.CutSuffix(s, u.name); ok {
			digits, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > 1<<62/unit {
		return 0, fmt.Errorf("%q is not a size such as 4096, 64KiB, 256MiB or 1GiB", s)
	}
	if n *= unit; n < lo || n > hi {
		return 0, fmt.Errorf("%s is not from %s to %s", s, formatBytes(lo), formatBytes(hi))
	}
	return n, nil
}

func formatBytes(n int64) string {
	for _, u := range byteUnits[:3] {
		if n >= u.bytes && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

func parseDuration(s string, lo, hi time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration such as 250ms, 1m30s or 1h", s)
	}
	if d < lo || d > hi {
		return 0, fmt.Errorf("%s is not from %s to %s", s, formatDuration(lo), formatDuration(hi))
	}
	return d, nil
}

// formatDuration is Duration.String without the zeros at its end.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// parsePeers reads ID=HOST:PORT,... and returns the peers sorted by id.
func parsePeers(s string) ([]Peer, error) {
	var peers []Peer
	for item := range strings.SplitSeq(s, ",") {
		id, address, ok := strings.Cut(strings.TrimSpace(item), "=")
		if !ok {
			return nil, fmt.Errorf("%q is not ID=HOST:PORT", item)
		}
		if err := checkNodeID(id); err != nil {
			return nil, err
		}
		if err := checkDialAddress(address); err != nil {
			return nil, fmt.Errorf("node %s: %w", id, err)
		}
		for _, p := range peers {
			if p.ID == id {
				return nil, fmt.Errorf("node %s is there twice", id)
			}
			if p.Address == address {
				return nil, fmt.Errorf("nodes %s and %s have the same address %s", p.ID, id, address)
			}
		}
		peers = append(peers, Peer{ID: id, Address: address})
	}
	slices.SortFunc(peers, func(a, b Peer) int { return strings.Compare(a.ID, b.ID) })
	return peers, nil
}

// parseJoin reads the URLs, or HOST:PORT, of APIs.
func parseJoin(s string) ([]string, error) {
	var urls []string
	for item := range strings.SplitSeq(s, ",") {
		item = strings.TrimSpace(item)
		if err := checkAPIAddress(item); err != nil {
			return nil, err
		}
		if !isURL(item) {
			item = "http://" + item
		}
		urls = append(urls, item)
	}
	return urls, nil
}

func formatPeers(peers []Peer) string {
	items := make([]string, len(peers))
	for i, p := range peers {
		items[i] = p.ID + "=" + p.Address
	}
	return strings.Join(items, ",")
}

const maxNodeIDBytes = 63

func checkNodeID(id string) error {
	if len(id) > maxNodeIDBytes {
		return fmt.Errorf("node id of %d bytes: more than %d", len(id), maxNodeIDBytes)
	}
	for i := range len(id) {
		c := id[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && (i == 0 || !strings.ContainsRune("._-", rune(c))) {
			return fmt.Errorf("node id %q: must be letters, digits, '.', '_' and '-', a letter or digit first", id)
		}
	}
	if id == "" {
		return fmt.Errorf("node id is empty")
	}
	return nil
}
