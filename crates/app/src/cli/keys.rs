//! Asks for secrets on a terminal: the passphrase of the node's keys, an invite.

use std::io::{self, IsTerminal};

use kukuri::{Prompt, Question};
use zeroize::Zeroizing;

/// How often two different passphrases may be typed for a new file.
const TRIES: usize = 3;

/// How to ask, if somebody is there: both streams are the terminal's, so no script waits for an
/// answer that nobody gives.
pub fn prompt() -> Option<Prompt> {
    let somebody = io::stdin().is_terminal() && io::stderr().is_terminal();
    somebody.then(|| Prompt::new(ask))
}

fn ask(question: &Question) -> io::Result<Zeroizing<String>> {
    match question {
        Question::New(file) => {
            let file = file.display();
            let ask = format!(
                "This node's keys go into a file.\n\
                 New passphrase that encrypts them in {file}: "
            );
            let mut ask = ask.as_str();
            for _ in 0..TRIES {
                let first = read(ask)?;
                if first.is_empty() || read("The same again: ")? == first {
                    return Ok(first);
                }
                ask = "They differ. New passphrase: ";
            }
            Err(io::Error::other("they differ each time"))
        }
        Question::Again(_) => read("This does not open it. Passphrase: "),
        Question::Open(file) => read(&format!("Passphrase of {}: ", file.display())),
        other => Err(io::Error::other(format!("can't ask {other:?}"))),
    }
}

/// Asks for a secret on the terminal, which does not show it.
pub fn read(ask: &str) -> io::Result<Zeroizing<String>> {
    rpassword::prompt_password(ask).map(Zeroizing::new)
}
