"""Operations run beside the path of a request, over many customers; the core never imports them."""
