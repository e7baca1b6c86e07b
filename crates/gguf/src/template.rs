//! The model's own chat template: turns of a conversation → the text that the model reads.

use automation_assistant::{ErrorKind, TaskError};
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind as JinjaErrorKind, Value, context};

/// For models that bring none: ChatML, as llama.cpp takes it then.
const CHATML: &str = "{% for message in messages %}<|im_start|>{{ message.role }}\n\
    {{ message.content }}<|im_end|>\n{% endfor %}\
    {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
/// Steps of a template's program, so that each ends: a long conversation takes some thousand.
const FUEL: u64 = 10_000_000;
/// Longest expression or statement of a template, in bytes. Its reader takes some 300 bytes of the
/// stack for each operator in one.
const BLOCK_BYTES_MAX: usize = 8 << 10;
const NAME: &str = "chat";

/// One message of a conversation.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) role: &'static str,
    pub(crate) content: String,
}

/// A compiled chat template.
pub(crate) struct Template {
    environment: Environment<'static>,
    bos: String,
    eos: String,
}

impl Template {
    /// The model's, or ChatML.
    ///
    /// # Errors
    ///
    /// Why its template cannot be compiled.
    pub(crate) fn of(model: &LlamaModel) -> Result<Self, String> {
        let own = model.chat_template(None).ok();
        let own = own.as_ref().map(|template| template.to_str());
        let source = match own {
            None => CHATML,
            Some(Ok(source)) => source,
            Some(Err(_)) => return Err("its chat template is not UTF-8".to_owned()),
        };
        let vocab = model.vocab();
        let text = |token: LlamaToken| {
            let text = (token.0 >= 0).then(|| vocab.token_to_piece(token, true, None));
            String::from_utf8_lossy(&text.unwrap_or_default()).into_owned()
        };
        Self::new(source.to_owned(), text(vocab.bos()), text(vocab.eos()))
    }

    fn new(source: String, bos: String, eos: String) -> Result<Self, String> {
        if longest_block(source.as_bytes()) > BLOCK_BYTES_MAX {
            return Err(format!("a block of its chat template has over {BLOCK_BYTES_MAX} bytes"));
        }
        let mut environment = Environment::new();
        // As the library renders them for which these templates are written.
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| error.to_string())?);
        environment.set_fuel(Some(FUEL));
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |what: String| {
            Err::<Value, _>(minijinja::Error::new(JinjaErrorKind::InvalidOperation, what))
        });
        environment
            .add_template_owned(NAME, source)
            .map_err(|error| format!("its chat template cannot be compiled: {error}"))?;
        Ok(Self { environment, bos, eos })
    }

    /// The conversation as text, up to where the model's answer begins.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`] where the template rejects the turns: some want user and
    /// assistant in strict turns.
    pub(crate) fn render(&self, messages: &[Message]) -> Result<String, TaskError> {
        self.try_render(messages)
            .or_else(|rejected| match messages.split_first() {
                // Some know no system message: then it goes into the first user's.
                Some((system, rest)) if system.role == "system" => {
                    self.try_render(&folded(system, rest)).map_err(|_| rejected)
                }
                _ => Err(rejected),
            })
            .map_err(|error| {
                TaskError::new(
                    ErrorKind::InvalidRequest,
                    "the model's chat template rejects these turns: see the message",
                )
                .with_message(&error.to_string())
            })
    }

    fn try_render(&self, messages: &[Message]) -> Result<String, minijinja::Error> {
        let messages: Vec<Value> = messages
            .iter()
            .map(|message| context! { role => message.role, content => message.content.as_str() })
            .collect();
        self.environment.get_template(NAME)?.render(context! {
            messages => messages,
            add_generation_prompt => true,
            bos_token => self.bos.as_str(),
            eos_token => self.eos.as_str(),
        })
    }
}

/// The length of the longest `{{ … }}` or `{% … %}`: up to its end outside quotes and braces.
fn longest_block(source: &[u8]) -> usize {
    let (mut longest, mut from, mut quote, mut depth) = (0, None, None, 0usize);
    let mut at = 0;
    while at < source.len() {
        let pair = [source[at], source.get(at + 1).copied().unwrap_or_default()];
        let Some(begin) = from else {
            let opens = matches!(&pair, b"{{" | b"{%");
            from = opens.then_some(at + 2);
            at += if opens { 2 } else { 1 };
            continue;
        };
        longest = longest.max(at - begin);
        match (quote, pair[0]) {
            (Some(_), b'\\') => at += 1,
            (Some(own), byte) if own == byte => quote = None,
            (None, byte @ (b'"' | b'\'')) => quote = Some(byte),
            (None, _) if depth == 0 && matches!(&pair, b"}}" | b"%}") => from = None,
            (None, b'{') => depth += 1,
            (None, b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    longest
}

fn folded(system: &Message, rest: &[Message]) -> Vec<Message> {
    let mut rest = rest.to_vec();
    if let Some(first) = rest.iter_mut().find(|message| message.role == "user") {
        first.content = format!("{}\n\n{}", system.content, first.content);
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation() -> Vec<Message> {
        [("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello"), ("user", " Bye ")]
            .map(|(role, content)| Message { role, content: content.to_owned() })
            .to_vec()
    }

    fn rendered(source: &str) -> Result<String, TaskError> {
        Template::new(source.to_owned(), "<s>".to_owned(), "</s>".to_owned())
            .unwrap()
            .render(&conversation())
    }

    #[test]
    fn templates_are_rendered_as_their_library_does() {
        let chatml = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n\
            <|im_start|>assistant\nHello<|im_end|>\n<|im_start|>user\n Bye <|im_end|>\n\
            <|im_start|>assistant\n";
        assert_eq!(rendered(CHATML).unwrap(), chatml);
        // Blocks on lines of their own leave none; methods are Python's; a loop may be left.
        let spread = "{{ bos_token }}\n{% for m in messages %}\n  {% if m['role'] == 'user' %}\n\
            [{{ m['content'].strip() }}]\n  {% break %}\n  {% endif %}\n{% endfor %}\n";
        assert_eq!(rendered(spread).unwrap(), "<s>\n[Hi]\n");
    }

    #[test]
    fn a_template_without_system_messages_gets_them_from_the_user() {
        let refusing = "{% for m in messages %}{% if m.role == 'system' %}\
            {{ raise_exception('no system role') }}{% endif %}<{{ m.content }}>{% endfor %}";
        assert_eq!(rendered(refusing).unwrap(), "<Be brief.\n\nHi><Hello>< Bye >");
    }

    #[test]
    fn a_template_that_rejects_or_never_ends_is_an_error() {
        let error = rendered("{{ raise_exception('never mind') }}").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert!(error.message().contains("never mind"), "{error}");
        let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{{ b }}{% endfor %}\
            {% endfor %}";
        assert!(rendered(endless).is_err());
        let compiled = |source: String| Template::new(source, String::new(), String::new());
        assert!(compiled("{% for %}".to_owned()).is_err());
        // As many operators overflow a stack.
        let sum = |terms: usize| "1+".repeat(terms);
        assert!(compiled(format!("{}{{{{ {}1 }}}}", "text ".repeat(9_000), sum(2_000))).is_ok());
        for begin in ["", "{} ~ ", "{'a':{}} ~ ", "'}}' ~ ", "'\\'}}' ~ "] {
            let why = compiled(format!("{{{{ {begin}{}1 }}}}", sum(30_000))).err();
            assert!(why.is_some_and(|why| why.contains("over 8192 bytes")), "{begin}");
        }
    }
}
