package event

import "strings"

// What state machines append on their own account. Their streams and types are listed
// here, and nowhere else, so that what is let in (CheckUnreserved) and what they write
// cannot drift apart.
const (
	// OwnTypePrefix begins the types of all events that edri itself makes.
	OwnTypePrefix = "edri."
	// KeyStreamPrefix begins the streams of buckets, which have the changes of their keys.
	KeyStreamPrefix = "kv/"
	// RunStreamPrefix begins the streams of workflow runs, which have their histories.
	RunStreamPrefix = "run/"
)

// ownStreams are the prefixes of streams of which a reader takes every event for a state
// machine's word.
var ownStreams = [...]string{KeyStreamPrefix, RunStreamPrefix}

// CheckUnreserved returns an *Error where a client, be it an import or a schedule, would
// append an event that only a state machine may append, by its type or its stream. It is
// asked where operations enter a cluster, and not when they are applied: what is in a
// history stays, and a backup has all of it.
func CheckUnreserved[S, T ~string | ~[]byte](stream S, typ T) error {
	if strings.HasPrefix(string(typ), OwnTypePrefix) {
		return Errorf(CodeInvalid, "type %q: types that begin with %q are of events that edri makes itself", string(typ), OwnTypePrefix)
	}
	for _, prefix := range ownStreams {
		if strings.HasPrefix(string(stream), prefix) {
			return Errorf(CodeInvalid, "stream %q: streams that begin with %q have only what edri itself appends", string(stream), prefix)
		}
	}
	return nil
}
