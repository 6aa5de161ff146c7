package server

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// checkListenAddress accepts HOST:PORT, where an empty host is every interface
// and port 0 one that is free.
func checkListenAddress(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("%q is not HOST:PORT", s)
	}
	return checkPort(s, port, 0)
}

// checkDialAddress accepts HOST:PORT that another machine can dial.
func checkDialAddress(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("%q is not HOST:PORT", s)
	}
	if isUnspecified(host) {
		return fmt.Errorf("%q: others cannot dial every interface; name one address", s)
	}
	if strings.ContainsAny(host, " =,/@") {
		return fmt.Errorf("%q: %q is not a host", s, host)
	}
	return checkPort(s, port, 1)
}

func checkPort(s, port string, lo uint64) error {
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n < lo {
		return fmt.Errorf("%q: port %q is not a number from %d to 65535", s, port, lo)
	}
	return nil
}

// checkAPIAddress accepts what a client can dial: HOST:PORT, or a URL where
// something before the node serves TLS.
func checkAPIAddress(s string) error {
	if !isURL(s) {
		return checkDialAddress(s)
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" ||
		u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%q is not a URL such as https://edri.example.org", s)
	}
	return nil
}

func isURL(s string) bool { return strings.Contains(s, "://") }

func isUnspecified(host string) bool {
	if host == "" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsUnspecified()
}

// IsLoopback reports whether only this machine reaches the address. Any host name
// but localhost counts as one of elsewhere: what it stands for can change.
func IsLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
