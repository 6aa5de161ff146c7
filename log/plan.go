package log

import (
	"bytes"

	"go.etcd.io/bbolt"
)

// planRun returns what finds the positions that q selects in one run's bucket,
// from the posting lists alone; nil if there are none.
func planRun(path string, bucket *bbolt.Bucket, q *Query) (finder, error) {
	p := planner{path: path, bucket: bucket, cursor: bucket.Cursor(), reverse: q.Reverse}
	var finders []finder
	for i, name := range q.names() {
		if name == "" {
			continue
		}
		f, err := p.names([]byte(name), 1<<i)
		if f == nil || err != nil {
			return nil, err
		}
		finders = append(finders, f)
	}
	if q.Type != "" || q.TypePrefix != "" {
		f, err := p.types(q)
		if f == nil || err != nil {
			return nil, err
		}
		finders = append(finders, f)
	}
	return intersect(finders)
}

type planner struct {
	path    string
	bucket  *bbolt.Bucket
	cursor  *bbolt.Cursor
	reverse bool
}

func (p *planner) list(prefix []byte) *listReader {
	return &listReader{path: p.path, cursor: p.bucket.Cursor(), prefix: prefix, reverse: p.reverse}
}

// names returns the lists of name whose set of attributes has want.
func (p *planner) names(name []byte, want attribute) (finder, error) {
	var lists []*listReader
	for set := attribute(1); set < byType; set++ {
		prefix := appendListKey(nil, name, set)
		at, err := probe(p.path, p.cursor, prefix)
		if err != nil {
			return nil, err
		}
		if len(at.key) != len(prefix)+8 || !bytes.HasPrefix(at.key, prefix[:len(prefix)-1]) {
			break // no list of a greater set either
		}
		set = attribute(at.key[len(prefix)-1])
		if set&want != 0 {
			lists = append(lists, p.list(bytes.Clone(at.key[:len(prefix)])))
		}
	}
	return anyOf(lists, p.reverse), nil
}

// types returns the lists of the types that q selects.
func (p *planner) types(q *Query) (finder, error) {
	if q.Type != "" {
		if !q.matchesType(q.Type) {
			return nil, nil
		}
		return p.list(appendListKey(nil, []byte(q.Type), byType)), nil
	}
	var lists []*listReader
	start := append([]byte{classType}, q.TypePrefix...)
	for next := start; ; {
		at, err := probe(p.path, p.cursor, next)
		if err != nil {
			return nil, err
		}
		if !bytes.HasPrefix(at.key, start) {
			return anyOf(lists, p.reverse), nil
		}
		prefix, _, err := splitPostingKey(at.key)
		if err != nil {
			return nil, corrupt(p.path, "postings", at.key, err.Error())
		}
		prefix = bytes.Clone(prefix)
		lists = append(lists, p.list(prefix))
		next = afterList(prefix)
	}
}

func anyOf(lists []*listReader, reverse bool) finder {
	switch len(lists) {
	case 0:
		return nil
	case 1:
		return lists[0]
	}
	return &union{lists: lists, reverse: reverse}
}
