package main

// choiceFlag is the value of a flag that names a choice; set takes the name over.
type choiceFlag struct {
	name string
	set  func(name string) error
}

func (f *choiceFlag) Set(name string) error {
	f.name = name
	return f.set(name)
}

func (f *choiceFlag) String() string { return f.name }
func (f *choiceFlag) Type() string   { return "string" }
